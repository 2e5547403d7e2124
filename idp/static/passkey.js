// Asks the browser for passkeys and sends its answers by the forms of the page, which are hidden where
// it has none. What is written as JSON goes by the names of Web Authentication.

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const toCredentials = (list = []) => list.map((one) => ({ ...one, id: toBytes(one.id) }));

function optionsOf(form) {
  const options = JSON.parse(form.dataset.options);
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user.id = toBytes(options.user.id);
  for (const name of ["allowCredentials", "excludeCredentials"]) {
    options[name] = toCredentials(options[name]);
  }
  return options;
}

const MEMBERS = [
  "clientDataJSON",
  "attestationObject",
  "authenticatorData",
  "signature",
  "userHandle",
];

function answerOf(credential) {
  const { id, rawId, type, response } = credential;
  const sent = {};
  for (const name of MEMBERS) {
    if (response[name]) sent[name] = toText(response[name]);
  }
  if (response.getTransports) sent.transports = response.getTransports();
  return JSON.stringify({ id, rawId: toText(rawId), type, response: sent });
}

function send(form, credential) {
  form.elements.answer.value = answerOf(credential);
  if (form.elements.remember) {
    form.elements.remember.value = document.getElementById("remember").checked ? "y" : "";
  }
  form.submit();
}

let offer = null;

// Offers passkeys among the names that the browser fills in, until the person chooses another way.
async function offerIn(form) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  offer = new AbortController();
  const { signal } = offer;
  const publicKey = optionsOf(form);
  try {
    send(form, await navigator.credentials.get({ publicKey, signal, mediation: "conditional" }));
  } catch {
    // Ended by the button, by the browser or by the person: the form for the password is there.
  }
}

function tellWhy(form, error) {
  const known = error.name === "InvalidStateError" && form.querySelector("[data-known]");
  (known || form.querySelector("[data-failed]")).hidden = false;
}

async function ask(form) {
  for (const notice of form.querySelectorAll("[role=alert]")) notice.hidden = true;
  offer?.abort();
  const publicKey = optionsOf(form);
  try {
    send(form, await navigator.credentials[form.dataset.passkey]({ publicKey }));
  } catch (error) {
    tellWhy(form, error);
    if ("offered" in form.dataset) offerIn(form);
  }
}

function start() {
  for (const notice of document.querySelectorAll("[data-without-passkeys]")) notice.hidden = true;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(form);
    });
    if ("offered" in form.dataset) offerIn(form);
  }
  signal("[data-passkeys]", "passkeys", ["signalAllAcceptedCredentials", "signalCurrentUserDetails"]);
  signal("[data-unknown-passkey]", "unknownPasskey", ["signalUnknownCredential"]);
}

// Tells password managers which passkeys are accepted, so that they offer no others.
function signal(selector, name, methods) {
  const element = document.querySelector(selector);
  if (!element) return;
  const content = JSON.parse(element.dataset[name]);
  for (const method of methods) {
    PublicKeyCredential[method]?.(content).catch(() => {});
  }
}

if (window.PublicKeyCredential) start();
