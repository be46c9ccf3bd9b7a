// Keeps the dashboard up to date: the server sends the parts that changed, as the same HTML the page began with.

const live = document.getElementById("live");

function say(words, on) {
  live.classList.toggle("on", on);
  live.textContent = words;
}

function show(name, html) {
  const part = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
  if (!part) return;
  const held = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  const unfolded = part.querySelector("details")?.open;
  part.innerHTML = html;
  // What was unfolded in this part (one thing at most) stays unfolded.
  if (unfolded) part.querySelector("details")?.toggleAttribute("open", true);
  // Whoever was on a link in this part stays on it.
  if (held) part.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}

const events = new EventSource("/events");

events.addEventListener("open", () => say(live.dataset.on, true));

events.addEventListener("parts", (event) => {
  for (const [name, html] of Object.entries(JSON.parse(event.data))) show(name, html);
});

events.addEventListener("over", () => {
  events.close();
  location.reload(); // the session has ended: the page asks to sign in
});

events.addEventListener("error", () => {
  const gone = events.readyState === EventSource.CLOSED;
  say(gone ? live.dataset.off : live.dataset.again, false);
});
