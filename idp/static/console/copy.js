// Buttons that copy a text; without a script they are not shown.

for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const label = button.querySelector("span");
  const before = label ? label.textContent : button.getAttribute("aria-label");
  show(button, label, button.dataset.copied);
  setTimeout(() => show(button, label, before), 2000);
});

function show(button, label, text) {
  if (label) label.textContent = text;
  else button.setAttribute("aria-label", text);
  button.classList.toggle("is-done", text === button.dataset.copied);
}
