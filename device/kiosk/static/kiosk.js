// What a page does more with script than without: it follows the desk, shows the camera live, has a PIN pad.
// Listeners hang on the document, so they outlive every change follow.js makes to the page.

import { follow } from "./follow.js";
import { securityKey } from "./key.js";
import { pad } from "./pad.js";
import { preview } from "./preview.js";

// A second tap on a form that is already under way is no second wish.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
  }
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
  }
});

pad();
securityKey();
preview();
follow();
