// Times: how long ago in the visitor's language, and the exact one in their zone as a hint.

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const language = document.documentElement.lang;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "long" });

function write(element) {
  const at = new Date(element.dateTime);
  const seconds = Math.round((at - Date.now()) / 1000);
  const [unit, length] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS.at(-1);
  element.textContent = relative.format(Math.trunc(seconds / length), unit);
  element.title = exact.format(at);
}

function writeAll() {
  document.querySelectorAll("time[datetime]").forEach(write);
}

writeAll();
setInterval(writeAll, 30_000);
document.addEventListener("htmx:after:swap", writeAll);
