// A canvas at the resolution of the screen, and the colours of its style sheet.

/** Clears a canvas and gives its pen, whose unit is a CSS pixel, and a function from names to colours. */
export function prepare(canvas, scale = devicePixelRatio || 1) {
  [canvas.width, canvas.height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  return { pen, colour: (name) => style.getPropertyValue(`--${name}`).trim() };
}
