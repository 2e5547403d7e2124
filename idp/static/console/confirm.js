// Deleting: the red button stays grey until the name is typed. The server checks it as well.

for (const form of document.querySelectorAll("form[data-type-name]")) {
  const input = form.querySelector("input:not([type=hidden])");
  const button = form.querySelector("button[type=submit]");
  const update = () => (button.disabled = input.value.trim() !== form.dataset.typeName);
  input.addEventListener("input", update);
  update();
}
