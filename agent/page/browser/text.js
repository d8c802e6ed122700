// Numbers and times as text.

const UNITS = ["", "k", "M", "G", "T"];

/** `12.3 Mbit/s`; three digits. */
export function bitRate(bitsPerSecond) {
  let value = bitsPerSecond;
  let step = 0;
  while (value >= 999.5 && step < UNITS.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[step]}bit/s`;
}

/** `4,200 packets/s`, `0.5 packets/s`, `1 packet/s`. */
export function packetRate(perSecond) {
  const rounded = perSecond < 10
    ? Math.round(perSecond * 10) / 10
    : Math.round(perSecond);
  return `${counted(rounded, "packet")}/s`;
}

/** `1,234,567`. */
export function count(value) {
  return value.toLocaleString("en");
}

/** `12 peers`, `1 peer`. */
export function counted(value, word) {
  return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

/** As `loden status` writes an age: `5 s`, `3 min`, `2 h`, `4 d`. */
export function age(time, nowMs) {
  const ms = Date.parse(time ?? "");
  if (Number.isNaN(ms)) return undefined;
  const seconds = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** What is left, in two units: `23 h 41 min`, `3 d 4 h`, `41 s`. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days > 1) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${seconds} s`;
}

/** In the reader's time zone: `18:03:12`, with the day if that is another one. */
export function clockTime(time, nowMs) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return undefined;
  const two = (value) => String(value).padStart(2, "0");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map(two).join(":");
  return date.toDateString() === new Date(nowMs).toDateString()
    ? clock
    : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${
      two(date.getDate())
    } ${clock}`;
}

/** Milliseconds, as ping writes them: `0.31 ms`, `12 ms`. */
export function roundTrip(ms) {
  return `${ms >= 9.95 ? ms.toFixed(0) : ms.toFixed(ms >= 0.995 ? 1 : 2)} ms`;
}
