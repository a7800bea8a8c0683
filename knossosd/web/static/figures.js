// Sizes, speeds and times as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

// 1536000 is "1.5 MB".
export function size(bytes) {
  let power = 0;
  while (bytes >= 999.5 && power < UNITS.length - 1) {
    bytes /= 1000;
    power += 1;
  }
  return `${power && bytes < 99.95 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[power]}`;
}

// 90 is "1 min 30 s".
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

// 1 and "file" is "1 file", 2000 and "file" is "2,000 files".
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
