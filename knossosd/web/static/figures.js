// Numbers, sizes, speeds and times as people read them.

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

// The same in short, in one unit and with two digits that matter: 0.04 s, 12 s, 1.5 min, 3 h, 4 d.
export function brief(seconds) {
  if (seconds < 0.995) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 59.5) return `${digits(seconds)} s`;
  if (seconds < 3570) return `${digits(seconds / 60)} min`;
  return seconds < 86400 * 2 ? `${digits(seconds / 3600)} h` : `${digits(seconds / 86400)} d`;
}

const digits = (number) => Number(number.toFixed(number < 9.95 ? 1 : 0));

export const timeOfDay = (time) =>
  new Date(time * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

export const count = (number) => number.toLocaleString("en");

// 1 and "file" is "1 file", 2000 and "file" is "2,000 files".
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
