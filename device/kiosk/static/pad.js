// The PIN pad on the screen, and the seconds that are left to wait. A pad may serve several fields (their ids,
// with spaces): it fills the one that was touched last.

let touched = "";

export function pad() {
  show();
  new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  setInterval(count, 1000);
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("input")) {
      touched = event.target.id;
    }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pad] button");
    if (!button) {
      return;
    }
    const names = button.closest("[data-pad]").dataset.pad.split(" ");
    const input = document.getElementById(names.includes(touched) ? touched : names[0]);
    if (input.disabled) {
      return;
    }
    if (button.dataset.digit) {
      input.value = (input.value + button.dataset.digit).slice(0, input.maxLength);
    } else {
      input.value = input.value.slice(0, -1);
    }
  });
}

function show() {
  for (const keys of document.querySelectorAll("[data-pad][hidden]")) {
    keys.hidden = false;
    keys.dataset.live = "hidden";
  }
}

function count() {
  for (const left of document.querySelectorAll("[data-countdown]")) {
    const seconds = Number(left.textContent) - 1;
    if (seconds <= 0) {
      window.location.replace("/");
    } else {
      left.textContent = String(seconds);
    }
  }
}
