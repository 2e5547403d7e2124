// Comfort for pages that are complete without it: times in the visitor's zone, passwords that can be
// shown, and no form that is posted again when its answer is reloaded.

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

if (document.body.dataset.page) {
  history.replaceState(null, "", document.body.dataset.page);
}
