// The drawing pad: draws strokes and sends the picture to the server while drawing.
// Gradio provides `element`, `props`, `trigger` and `watch`.
const canvas = element.querySelector("canvas");
const context = canvas.getContext("2d");
const PEN = canvas.width * 0.075; // stroke width of MNIST for a digit that fills the pad
const WAIT = 20; // milliseconds between two updates
let last = null; // last pen position; null while the pen is up
let pending = false;

function clear() {
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
}

function position(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function draw(event) {
  Object.assign(context, { lineWidth: PEN, lineCap: "round", strokeStyle: "black" });
  context.beginPath();
  context.moveTo(...last);
  last = position(event);
  context.lineTo(last[0] + 0.01, last[1]); // a line of zero length draws no dot
  context.stroke();
  if (!pending) setTimeout(send, WAIT);
  pending = true;
}

function send() {
  pending = false;
  props.value = canvas.toDataURL();
  trigger("input");
}

function show() { // draws the image that the server has set
  clear();
  const image = new Image();
  image.onload = () => {
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    const corner = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    context.imageSmoothingEnabled = image.width > 100;
    context.drawImage(image, ...corner, width, height);
  };
  if (props.value) image.src = props.value;
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = position(event);
  draw(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (last) event.getCoalescedEvents().forEach(draw);
});
canvas.addEventListener("lostpointercapture", () => (last = null));
watch("value", show);
clear();
