// The camera's live picture: the next one is asked for when the last one is there.

const PACE_MS = 80;
const RETRY_MS = 1000;

export function preview() {
  let number = 0;
  const ask = (image) => {
    image.src = `${image.dataset.preview}?n=${Date.now()}-${(number += 1)}`;
  };
  const come = (event, missing, pause) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement) || image.dataset.preview === undefined) {
      return;
    }
    image.dataset.live = "src";
    const words = document.querySelector("[data-no-preview]");
    if (words) {
      words.hidden = !missing;
      words.dataset.live = "hidden";
    }
    setTimeout(() => image.isConnected && image.dataset.preview !== undefined && ask(image), pause);
  };
  document.addEventListener("load", (event) => come(event, false, PACE_MS), true);
  document.addEventListener("error", (event) => come(event, true, RETRY_MS), true);
  for (const image of document.querySelectorAll("img[data-preview]")) {
    ask(image); // the picture may have come before this script did
  }
}
