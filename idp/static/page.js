// Comfort for pages that are complete without it: times in the visitor's zone, passwords that can be
// shown, how strong a new one is, and no form that is posted again when its answer is reloaded.

const shown = document.documentElement.lang.slice(0, 2);
const language = navigator.languages.find((one) => one.startsWith(shown)) ?? shown;
const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });

for (const element of document.querySelectorAll("time[datetime]")) {
  const at = new Date(element.dateTime);
  element.textContent = short.format(at);
  element.title = exact.format(at);
}

for (const button of document.querySelectorAll(".reveal-button")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const { other, otherLabel } = button.dataset;
    Object.assign(button.dataset, { other: button.textContent, otherLabel: button.ariaLabel });
    button.textContent = other;
    button.ariaLabel = otherLabel;
    input.type = input.type === "password" ? "text" : "password";
  });
  // What is sent is a password again, so that browsers neither keep nor suggest it as a text.
  input.form.addEventListener("submit", () => (input.type = "password"));
}

// An estimate in bits: repetitions and sequences such as aaa, 123 and cba add nothing.
function bitsOf(password, known) {
  const text = known ? password.replaceAll(known, "") : password;
  const kinds = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[^a-zA-Z0-9]/, 32]];
  const pool = kinds.reduce((sum, [kind, size]) => sum + (kind.test(text) ? size : 0), 0);
  const codes = [...text].map((char) => char.codePointAt(0));
  const steps = codes.map((code, place) => (place ? code - codes[place - 1] : 2));
  const counted = steps.filter((step, place) => Math.abs(step) > 1 || step !== steps[place - 1]);
  return Math.min(counted.length, 2 * new Set(codes).size) * Math.log2(pool || 1);
}

for (const panel of document.querySelectorAll("[data-strength]")) {
  const input = document.getElementById(panel.dataset.strength);
  const [meter, word] = panel.children;
  const words = panel.dataset.words.split("|");
  input.addEventListener("input", () => {
    const name = input.form.querySelector("[autocomplete=username]")?.value;
    const bits = bitsOf(input.value.slice(0, 128), name);
    const level = [28, 42, 60, 80].filter((least) => bits >= least).length;
    panel.hidden = input.value === "";
    meter.value = level + 1;
    if (word.textContent !== words[level]) {
      word.textContent = words[level];
    }
  });
}

if (document.body.dataset.page) {
  history.replaceState(null, "", document.body.dataset.page);
}
