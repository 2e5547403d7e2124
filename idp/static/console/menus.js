// Menus close by Escape and by a click elsewhere; on a narrow page the navigation opens by a button.

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-close][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest("[data-menu]");
  const side = document.querySelector(".side.is-open");
  if (button) {
    event.preventDefault();
    document.getElementById(button.dataset.menu).classList.toggle("is-open");
  } else if (side && !side.contains(event.target)) {
    side.classList.remove("is-open");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-close][open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  document.querySelector(".side.is-open")?.classList.remove("is-open");
});
