// The keys of the editor. Letters count while something of the result that is not typed in, or nothing, has the focus.

const LETTERS = { s: "split", m: "merge", n: "add", l: "loop", t: "tap", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out", "?": "keys", Delete: "delete", Backspace: "delete" };
const TYPING = "input:not([type=range], [type=radio], [type=checkbox], [type=file]), textarea, [contenteditable]";
const ARROWS = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const OCTAVE = 12;

/** Connects the keys; `area` is the element in which they count, other than on the canvas. */
export function connectShortcuts(editor, canvas, area) {
  canvas.addEventListener("focus", () => (editor.escaped = false));
  canvas.addEventListener("focus", () => !editor.pressed && canvas.matches(":focus-visible") && !editor.first && editor.step(0));
  canvas.addEventListener("blur", () => editor.endRun());
  canvas.addEventListener("keydown", (event) => onRollKey(editor, event));
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || editor.melody.isLocked || document.querySelector("dialog[open]")) return;
    const name = commandOf(event, area);
    if (!name) return;
    event.preventDefault();
    editor.do(name);
  });
}

function commandOf(event, area) {
  const { target, key } = event;
  const letter = key.length === 1 ? key.toLowerCase() : key;
  if (event.ctrlKey || event.metaKey) {
    const isTyping = target.matches?.(TYPING) && target.value !== target.dataset.shown; // the browser undoes what is typed
    if (event.altKey || isTyping || !["z", "y"].includes(letter)) return undefined;
    return letter === "y" || event.shiftKey ? "redo" : "undo";
  }
  const isFree = target === document.body || (area.contains(target) && !target.matches(TYPING));
  const isTapping = letter === "t" && target.matches?.("#tempo, [data-edit=tap]");
  return event.altKey || !(isFree || isTapping) || target.matches?.("select") ? undefined : LETTERS[letter];
}

/** The keys of the roll itself: arrows, Tab, Escape, all. */
function onRollKey(editor, event) {
  if (editor.melody.isLocked || !editor.roll.rendering) return;
  const { key, shiftKey, altKey } = event;
  const isCommand = event.ctrlKey || event.metaKey;
  let isDone = true;
  if (ARROWS[key] && !isCommand) {
    const [up, right] = ARROWS[key];
    if (right && shiftKey) editor.lengthen(right, altKey);
    else editor.nudge(shiftKey ? up * OCTAVE : up, right, altKey);
  } else if (key === "Tab" && !isCommand && !altKey && !editor.escaped) {
    editor.endRun();
    isDone = editor.step(shiftKey ? -1 : 1); // after the last note, and after Escape, Tab goes on to the next control
  } else if (key === "Escape") {
    editor.endRun();
    editor.escaped = true;
    editor.melody.select([]);
    editor.say("Nothing selected");
  } else if (key.toLowerCase() === "a" && isCommand) editor.selectAll();
  else isDone = false;
  if (isDone) event.preventDefault();
}
