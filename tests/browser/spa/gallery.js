// A public client without a server of its own: code and PKCE, tokens in memory, no library.
const { issuer, client_id } = await (await fetch("settings.json")).json();
const redirect_uri = `${location.origin}/`;
const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

function show(state, person = "") {
  document.getElementById("person").textContent = person;
  document.getElementById("state").textContent = state;
}

async function signIn() {
  const attempt = { verifier: random(), state: random() };
  sessionStorage.setItem("attempt", JSON.stringify(attempt));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(attempt.verifier));
  const parameters = new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: "code",
    scope: "openid profile",
    state: attempt.state,
    code_challenge: base64url(digest),
    code_challenge_method: "S256",
  });
  location.assign(`${metadata.authorization_endpoint}?${parameters}`);
}

async function redeem(answer) {
  const attempt = JSON.parse(sessionStorage.getItem("attempt"));
  sessionStorage.removeItem("attempt");
  history.replaceState(null, "", "/");
  if (answer.get("state") !== attempt.state || answer.get("iss") !== issuer) {
    throw new Error("this answer belongs to something else");
  }
  const tokens = await fetch(metadata.token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: answer.get("code"),
      code_verifier: attempt.verifier,
      redirect_uri,
      client_id,
    }),
  });
  if (!tokens.ok) {
    throw new Error((await tokens.json()).error);
  }
  const { access_token } = await tokens.json();
  const person = await fetch(metadata.userinfo_endpoint, {
    headers: { Authorization: `Bearer ${access_token}` },
  });
  show("signed in", JSON.stringify(await person.json()));
}

document.getElementById("sign-in").addEventListener("click", signIn);
const answer = new URLSearchParams(location.search);
if (answer.has("code")) {
  await redeem(answer).catch((problem) => show(`failed: ${problem.message}`));
} else {
  show("signed out");
}
