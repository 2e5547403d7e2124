// Keys: those of elements with `data-key`, and `?` for the list of them.

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "?") return open(document.getElementById("keys"));
  const element = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!element) return;
  event.preventDefault();
  if (element.matches("a")) return element.click();
  // On a phone the field is not shown, but the link to its page is.
  if (element.checkVisibility()) element.focus();
  else element.form?.requestSubmit();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-opens]");
  if (button) open(document.getElementById(button.dataset.opens));
});

function open(dialog) {
  if (dialog && !dialog.open) dialog.showModal();
}

function isTyping(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null;
}
