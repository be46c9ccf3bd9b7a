// Follows the desk by long poll. When it has something newer, the page is fetched and the parts that differ are
// changed in place: no flicker, the focus stays where it is, and what is being typed is left alone.

import { morph } from "./morph.js";

const RETRY_MS = 2000;
const PACE_MS = 150; // progress comes faster than a screen needs it

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function follow() {
  const body = document.body;
  let version = body.dataset.version;
  let place = body.dataset.place;
  if (version === undefined) {
    return;
  }
  for (;;) {
    try {
      const answer = await fetch(`/desk?after=${version}`, { cache: "no-store" });
      if (!answer.ok) {
        throw new Error(answer.status);
      }
      const told = await answer.json();
      if (String(told.version) === version) {
        await sleep(PACE_MS);
        continue;
      }
      version = String(told.version);
      if (body.dataset.beside === undefined) {
        await refresh();
      } else if (told.place !== place) {
        window.location.replace("/");
        return;
      }
      place = told.place;
      await sleep(PACE_MS);
    } catch {
      await sleep(RETRY_MS); // the agent starts again; it comes back locked, and this page with it
    }
  }
}

async function refresh() {
  const answer = await fetch("/", { cache: "no-store" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const moved = fresh.body.dataset.place !== document.body.dataset.place;
  document.title = fresh.title;
  document.documentElement.lang = fresh.documentElement.lang;
  morph(document.body, fresh.body);
  if (moved) {
    window.scrollTo(0, 0);
    document.getElementById("main").focus({ preventScroll: true });
  }
}
