// Numbers, ages and times of day in short, as a monitor shows them.

export const count = (number) => number.toLocaleString("en");

// Seconds, in one unit and with two digits that matter: 0.04 s, 12 s, 1.5 min, 3 h, 4 d.
export function brief(seconds) {
  if (seconds < 0.995) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 59.5) return `${digits(seconds)} s`;
  if (seconds < 3570) return `${digits(seconds / 60)} min`;
  return seconds < 86400 * 2 ? `${digits(seconds / 3600)} h` : `${digits(seconds / 86400)} d`;
}

const digits = (number) => Number(number.toFixed(number < 9.95 ? 1 : 0));

export const timeOfDay = (time) =>
  new Date(time * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
