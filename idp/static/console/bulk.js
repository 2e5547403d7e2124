// Rows that are picked: how many they are, and one box for all of the page.

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-bulk]");
  if (!form) return;
  if (event.target.matches("[data-all]")) {
    for (const box of boxes(form)) box.checked = event.target.checked;
  }
  update(form);
});

document.addEventListener("htmx:after:swap", updateAll);
updateAll();

function updateAll() {
  document.querySelectorAll("form[data-bulk]").forEach(update);
}

function update(form) {
  const picked = boxes(form).filter((box) => box.checked);
  for (const box of boxes(form)) box.closest("tr").classList.toggle("is-picked", box.checked);
  const bar = form.querySelector(".bar");
  bar.hidden = picked.length === 0;
  for (const element of bar.querySelectorAll("[data-count]")) {
    element.textContent = element.dataset.count.replace("{n}", String(picked.length));
  }
  const all = form.querySelector("[data-all]");
  all.checked = picked.length > 0 && picked.length === boxes(form).length;
  all.indeterminate = picked.length > 0 && !all.checked;
}

function boxes(form) {
  return [...form.querySelectorAll("input[name=id]")];
}
