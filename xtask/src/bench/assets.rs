//! A cached asset of a package against nginx.

use std::{fs, path::Path, process::Child};

use serde_json::json;

use super::{Report, cpu, fixture, least, median};
use crate::{Fallible, portal::Portal, sh};

const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
/// File, and how much of nginx's CPU time the portal may take.
const FILES: [(&str, f64); 2] = [("small.svg", 1.0), ("large.svg", 1.3)];

pub(super) fn run(binary: &Path) -> Fallible<Report> {
    let portal = Portal::start_on_core(binary, "bench-assets", fixture::last_core()?)?;
    let package = fixture::install(&portal, binary)?;
    let nginx = Nginx::start(&package.join("static"))?;
    fixture::pin(nginx.child.id())?;
    let page = fixture::page(&portal, "/bench/")?;
    let mut figures = Vec::new();
    let mut missed = Vec::new();
    for (file, goal) in FILES {
        let path =
            fixture::asset(&page, file).ok_or_else(|| format!("no asset {file} in\n{page}"))?;
        let ours = format!("{}{path}", portal.url);
        let theirs = format!("{}/{file}", nginx.url);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            a.push(cpu::load(nginx.child.id(), &theirs, &[], SECONDS)?.micros);
            b.push(cpu::load(portal.pid(), &ours, &[], SECONDS)?.micros);
        }
        let ratio = least(&b) / least(&a);
        println!(
            "{file:<10} nginx {:5.1} µs  portico {:5.1} µs  ratio {ratio:.2} (medians {:.2}), goal {goal}",
            least(&a),
            least(&b),
            median(&b) / median(&a),
        );
        if ratio > goal {
            missed.push(format!("{file}: {ratio:.2}× nginx, goal {goal}×"));
        }
        figures.push(json!({
            "file": file, "nginx_cpu_us": a, "portico_cpu_us": b, "ratio_least": ratio,
            "ratio_median": median(&b) / median(&a), "goal": goal,
        }));
    }
    Ok(Report {
        figures: json!({ "files": figures }),
        missed,
    })
}

struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    /// One worker that serves a folder as fast as it can.
    fn start(folder: &Path) -> Fallible<Self> {
        let home = sh::logs()?.join("bench-nginx");
        fs::create_dir_all(&home)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let conf = format!(
            "daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
             user root;
             events {{ worker_connections 1024; }}
             http {{
               access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
               open_file_cache max=1000; open_file_cache_valid 60s;
               client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};
               uwsgi_temp_path {home}; scgi_temp_path {home};
               types {{ image/svg+xml svg; }}
               server {{
                 listen 127.0.0.1:{port} reuseport;
                 root {};
                 add_header cache-control 'public, max-age=31536000, immutable';
               }}
             }}",
            folder.display(),
            home = home.display(),
        );
        let file = home.join("nginx.conf");
        fs::write(&file, conf)?;
        let nginx = sh::which("nginx").ok_or("nginx is missing (package nginx-light)")?;
        let child = sh::program(nginx).arg("-c").arg(&file).spawn()?;
        let this = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        fixture::wait(&this.url)?;
        Ok(this)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = sh::program("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}
