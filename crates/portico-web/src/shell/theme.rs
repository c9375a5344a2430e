//! The brand's colour, moved until text in it can be read on both grounds.

use portico_package::Digest;

use super::Branding;

/// Darkest ground of the light theme and lightest of the dark one: what passes here passes on the others.
const GROUNDS: (Rgb, Rgb) = (Rgb([0.937, 0.941, 0.953]), Rgb([0.137, 0.145, 0.165]));
/// WCAG 2.2 AA for text, with room for rounding.
const CONTRAST: f64 = 4.6;

/// The theme of a brand as a file name (`<12 hex digits>.css`, below `/theme/`) and its text; `None` without a
/// primary colour that can be read: `#rgb`, `#rrggbb`, `rgb(…)` and the sixteen basic names are.
pub fn theme_css(branding: &Branding) -> Option<(String, String)> {
    let brand = parse(branding.primary_color.as_deref()?)?;
    let light = adjust(brand, GROUNDS.0, -0.01);
    let dark = adjust(brand, GROUNDS.1, 0.01);
    let css = format!(
        ":root {{\n  --brand: {};\n  --accent: light-dark({}, {});\n  --on-accent: light-dark({}, {});\n}}\n",
        brand.hex(),
        light.hex(),
        dark.hex(),
        text_on(light).hex(),
        text_on(dark).hex(),
    );
    Some((
        format!("{}.css", &Digest::of(css.as_bytes()).hex()[..12]),
        css,
    ))
}

/// sRGB, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rgb([f64; 3]);

impl Rgb {
    fn hex(self) -> String {
        let [r, g, b] = self.0.map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8);
        format!("#{r:02x}{g:02x}{b:02x}")
    }

    fn linear(self) -> [f64; 3] {
        self.0.map(|c| {
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    fn luminance(self) -> f64 {
        let [r, g, b] = self.linear();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// Lightness and the two colour axes of OKLab.
    fn oklab(self) -> [f64; 3] {
        let [r, g, b] = self.linear();
        let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        [
            0.210_454_255_3 * l + 0.793_617_785 * m - 0.004_072_046_8 * s,
            1.977_998_495_1 * l - 2.428_592_205 * m + 0.450_593_709_9 * s,
            0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766 * s,
        ]
    }

    fn from_oklab([lightness, a, b]: [f64; 3]) -> Self {
        let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
        let linear = [
            4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
            -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
            -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
        ];
        Self(linear.map(|c| {
            let c = c.clamp(0.0, 1.0);
            if c <= 0.003_130_8 {
                c * 12.92
            } else {
                1.055 * c.powf(1.0 / 2.4) - 0.055
            }
        }))
    }
}

fn contrast(a: Rgb, b: Rgb) -> f64 {
    let (x, y) = (a.luminance() + 0.05, b.luminance() + 0.05);
    x.max(y) / x.min(y)
}

/// The colour nearest to `colour`, lighter or darker, that can be read on `ground`.
fn adjust(colour: Rgb, ground: Rgb, step: f64) -> Rgb {
    let [mut lightness, a, b] = colour.oklab();
    let mut best = colour;
    for _ in 0..100 {
        // Rounded as it will be written.
        best = parse(&best.hex()).unwrap_or(best);
        if contrast(best, ground) >= CONTRAST {
            break;
        }
        lightness = (lightness + step).clamp(0.0, 1.0);
        // Very light and very dark colours hold less colour.
        let room = (1.0 - (lightness - 0.6).abs() * 1.4).clamp(0.2, 1.0);
        best = Rgb::from_oklab([lightness, a * room, b * room]);
    }
    best
}

fn text_on(ground: Rgb) -> Rgb {
    let (white, black) = (Rgb([1.0; 3]), Rgb([0.06, 0.067, 0.08]));
    if contrast(white, ground) >= contrast(black, ground) {
        white
    } else {
        black
    }
}

fn parse(text: &str) -> Option<Rgb> {
    const NAMES: &[(&str, &str)] = &[
        ("black", "#000000"),
        ("white", "#ffffff"),
        ("gray", "#808080"),
        ("silver", "#c0c0c0"),
        ("red", "#ff0000"),
        ("maroon", "#800000"),
        ("yellow", "#ffff00"),
        ("olive", "#808000"),
        ("lime", "#00ff00"),
        ("green", "#008000"),
        ("aqua", "#00ffff"),
        ("teal", "#008080"),
        ("blue", "#0000ff"),
        ("navy", "#000080"),
        ("fuchsia", "#ff00ff"),
        ("purple", "#800080"),
        ("orange", "#ffa500"),
        ("indigo", "#4b0082"),
        ("crimson", "#dc143c"),
    ];
    let text = text.trim().to_ascii_lowercase();
    let text = NAMES
        .iter()
        .find(|(name, _)| *name == text)
        .map_or(text.as_str(), |(_, hex)| hex);
    if let Some(hex) = text
        .strip_prefix('#')
        .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        let byte = |s: &str| u8::from_str_radix(s, 16).ok().map(|v| f64::from(v) / 255.0);
        return match hex.len() {
            3 => Some(Rgb([
                byte(&hex[0..1].repeat(2))?,
                byte(&hex[1..2].repeat(2))?,
                byte(&hex[2..3].repeat(2))?,
            ])),
            6 | 8 => Some(Rgb([
                byte(&hex[0..2])?,
                byte(&hex[2..4])?,
                byte(&hex[4..6])?,
            ])),
            _ => None,
        };
    }
    let inner = text.strip_prefix("rgb(")?.strip_suffix(')')?;
    let parts: Vec<f64> = inner
        .split([',', ' '])
        .filter(|p| !p.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    match parts[..] {
        [r, g, b] if parts.iter().all(|p| (0.0..=255.0).contains(p)) => {
            Some(Rgb([r / 255.0, g / 255.0, b / 255.0]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branding(colour: &str) -> Branding {
        Branding {
            primary_color: Some(colour.to_owned()),
            ..Branding::default()
        }
    }

    #[test]
    fn every_colour_becomes_readable_on_both_grounds() {
        let steps = [0u8, 40, 85, 128, 170, 215, 255];
        for r in steps {
            for g in steps {
                for b in steps {
                    let colour = parse(&format!("#{r:02x}{g:02x}{b:02x}")).unwrap();
                    for (ground, step) in [(GROUNDS.0, -0.01), (GROUNDS.1, 0.01)] {
                        let adjusted = parse(&adjust(colour, ground, step).hex()).unwrap();
                        assert!(
                            contrast(adjusted, ground) >= 4.5,
                            "{} on {}",
                            colour.hex(),
                            ground.hex()
                        );
                        assert!(
                            contrast(adjusted, text_on(adjusted)) >= 4.5,
                            "text on {}",
                            adjusted.hex()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_colour_that_is_readable_already_stays() {
        let (name, css) = theme_css(&branding("#1d4ed8")).unwrap();
        assert!(css.contains("--accent: light-dark(#1d4ed8, "), "{css}");
        assert_eq!(name.len(), 16);
        assert_eq!(theme_css(&branding("rgb(29, 78, 216)")).unwrap().1, css);
        assert_eq!(theme_css(&branding("#1D4ED8")), Some((name, css)));
    }

    #[test]
    fn what_is_no_colour_is_no_theme() {
        for bad in [
            "",
            "#12",
            "#gggggg",
            "rgb(1,2)",
            "rgb(1,2,999)",
            "red; } body { display: none",
            "url(x)",
        ] {
            assert_eq!(theme_css(&branding(bad)), None, "{bad}");
        }
        assert_eq!(theme_css(&Branding::default()), None);
    }
}
