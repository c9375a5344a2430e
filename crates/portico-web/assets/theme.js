// Runs before the first paint, so that a chosen theme or a narrow rail never flashes.
{
  const { dataset } = document.documentElement;
  try {
    for (const key of ["theme", "rail"]) if (localStorage["portico-" + key]) dataset[key] = localStorage["portico-" + key];
  } catch { /* storage is switched off: the system's theme it is */ }
}
