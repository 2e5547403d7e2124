// Shows an OpenAPI document. "Authorize" signs in by the code flow with PKCE; the token stays in
// the memory of this page.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const place = document.getElementById("docs");
const ui = SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  oauth2RedirectUrl: new URL(place.dataset.redirect, location.origin).href,
  deepLinking: true,
  defaultModelExpandDepth: 3,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
ui.initOAuth({
  clientId: place.dataset.clientId,
  scopes: "ids4.ms.all",
  usePkceWithAuthorizationCodeGrant: true,
});
