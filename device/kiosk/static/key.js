// The officer's security key signs the hash of what is to be sealed. Without script, without a key in reach, or
// on an address that is no name (WebAuthn takes names only), the page says so and the other way stays open.

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const able = () => Boolean(window.PublicKeyCredential) && location.hostname === "localhost";

const sign = async (form) => {
  const { keyChallenge, keyCredential } = form.dataset;
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: bytes(keyChallenge),
      rpId: "localhost",
      allowCredentials: [{ type: "public-key", id: bytes(keyCredential) }],
      userVerification: "required",
      timeout: 60000,
    },
  });
  const { authenticatorData, clientDataJSON, signature } = credential.response;
  form.elements.authenticator_data.value = text(authenticatorData);
  form.elements.client_data.value = text(clientDataJSON);
  form.elements.signature.value = text(signature);
  form.requestSubmit();
};

const register = async (form) => {
  const { keyChallenge, keyHandle, keyName } = form.dataset;
  const credential = await navigator.credentials.create({
    publicKey: {
      challenge: bytes(keyChallenge),
      rp: { id: "localhost", name: "Thuisloket" },
      user: { id: bytes(keyHandle), name: keyName, displayName: keyName },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { authenticatorAttachment: "cross-platform", userVerification: "required" },
      attestation: "direct",
      timeout: 60000,
    },
  });
  form.elements.client_data.value = text(credential.response.clientDataJSON);
  form.elements.attestation_object.value = text(credential.response.attestationObject);
  form.requestSubmit();
};

const show = () => {
  for (const button of document.querySelectorAll("[data-key-sign], [data-key-register]")) {
    button.hidden = !able();
  }
  for (const note of document.querySelectorAll("[data-key-unable]")) {
    note.hidden = able();
  }
};

export const securityKey = () => {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-key-sign], [data-key-register]");
    if (!button) {
      return;
    }
    const failed = document.querySelector("[data-key-failed]");
    failed.hidden = true;
    button.disabled = true;
    try {
      await ("keyRegister" in button.dataset ? register : sign)(button.form);
    } catch {
      failed.hidden = false;
      button.disabled = false;
    }
  });
  new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  show();
};
