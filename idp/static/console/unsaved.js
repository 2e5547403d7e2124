// The bar with "3 changes not saved": it comes with the first change, and leaving asks. The bar of
// a form for something new is always there.

for (const bar of document.querySelectorAll("[data-unsaved]")) watch(bar);

function watch(bar) {
  const form = bar.closest("form");
  const text = bar.querySelector("[data-unsaved-one]");
  // A form that was refused or met a conflict holds changes from the start.
  const isDirty = form.hasAttribute("data-dirty");
  const before = values(form);
  let sent = false;

  function update() {
    const now = values(form);
    const names = new Set([...before.keys(), ...now.keys()]);
    const count = [...names].filter((name) => before.get(name) !== now.get(name)).length;
    bar.hidden = count === 0 && !isDirty && bar.dataset.unsaved !== "always";
    text.textContent = label(text, count);
    return count;
  }

  form.addEventListener("input", update);
  form.addEventListener("submit", () => (sent = true));
  form.addEventListener("reset", () => setTimeout(update));
  addEventListener("beforeunload", (event) => {
    if (!sent && update() > 0) event.preventDefault();
  });
  update();
}

function values(form) {
  const found = new Map();
  for (const [name, value] of new FormData(form)) {
    if (name !== "csrf_token") found.set(name, `${found.get(name) ?? ""}\n${value}`);
  }
  return found;
}

function label(text, count) {
  if (count === 0) return "";
  return count === 1
    ? text.dataset.unsavedOne
    : text.dataset.unsavedMany.replace("{n}", String(count));
}
