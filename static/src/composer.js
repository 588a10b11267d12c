// The message box: Enter sends, handles and suggestions go in, the box empties once the message is taken.
export function startComposer() {
  const form = document.getElementById("composer");
  const box = document.getElementById("message");
  const frame = document.getElementById("log-frame");
  if (frame) startScroll(frame);
  if (!form || !box) return;

  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (box.value.trim() && !form.classList.contains("htmx-request")) form.requestSubmit();
  });

  document.addEventListener("click", (event) => {
    const suggestion = event.target.closest?.("[data-suggest]");
    const handle = event.target.closest?.("[data-insert]");
    if (suggestion) put(box, suggestion.dataset.suggest, true);
    if (handle) {
      document.getElementById("sheet")?.close();
      put(box, handle.dataset.insert, false);
    }
  });

  // The stream has begun, so the message is stored: only now may the box lose it.
  form.addEventListener("htmx:sse:after:connection", () => {
    box.value = "";
    document.getElementById("composer-error").replaceChildren();
  });
  form.addEventListener("htmx:sse:error", showLost);
  form.addEventListener("htmx:error", showLost);
  form.addEventListener("htmx:finally:request", () => box.focus());
}

function put(box, text, whole) {
  const gap = box.value && !/\s$/.test(box.value) ? " " : "";
  box.value = whole ? text : `${box.value}${gap}${text} `;
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
}

function showLost() {
  const line = document.createElement("p");
  line.className = "notice";
  line.dataset.kind = "error";
  line.setAttribute("role", "alert");
  line.textContent = "The connection was lost. What you sent is kept if it shows above; load the page again to see the rest of the answer.";
  document.getElementById("composer-error").replaceChildren(line);
}

// Follow the answer unless somebody has scrolled up to read.
function startScroll(frame) {
  let follows = true;
  frame.addEventListener("scroll", () => {
    follows = frame.scrollHeight - frame.scrollTop - frame.clientHeight < 80;
  });
  const down = () => follows && frame.scrollTo({ top: frame.scrollHeight });
  new MutationObserver(down).observe(frame, { childList: true, subtree: true });
  new ResizeObserver(down).observe(frame);
  frame.scrollTo({ top: frame.scrollHeight });
}
