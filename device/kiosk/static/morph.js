// Makes one element like another, keeping every node that can stay.

export function morph(old, fresh) {
  attributes(old, fresh);
  const wanted = [...fresh.childNodes];
  wanted.forEach((node, index) => {
    const present = old.childNodes[index];
    if (present === undefined) {
      old.append(document.importNode(node, true));
    } else if (alike(present, node)) {
      if (node.nodeType === Node.ELEMENT_NODE) {
        morph(present, node);
      } else if (present.nodeValue !== node.nodeValue) {
        present.nodeValue = node.nodeValue;
      }
    } else {
      present.replaceWith(document.importNode(node, true));
    }
  });
  while (old.childNodes.length > wanted.length) {
    old.lastChild.remove();
  }
}

function alike(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.id === other.id;
}

// What script put on an element of its own is marked with data-live and stays: the camera's picture, the pad.
function attributes(old, fresh) {
  const own = new Set((old.dataset?.live ?? "").split(" "));
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "data-live" && name !== "data-sent" && !own.has(name)) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (!own.has(name) && old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
}
