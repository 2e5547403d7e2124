// Work in steps: the next one is sent by itself, unless the person stops it.

const form = document.querySelector("form[data-steps]");
if (form) {
  let stopped = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value === "stop") stopped = true;
  });
  setTimeout(() => {
    if (!stopped) form.requestSubmit(form.querySelector("[data-next]"));
  }, 400);
}
