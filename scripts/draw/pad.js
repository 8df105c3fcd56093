// The drawing pad: a pen on paper that tells the page's program what is there as it draws.
// Gradio gives `element`, `props`, `trigger` and `watch`.
const canvas = element.querySelector("canvas");
const paper = canvas.getContext("2d");
const PEN = canvas.width * 0.075; // as wide as those of MNIST, for a digit that fills the pad
const WAIT = 20; // milliseconds between two looks at the pen
let last = null; // where the pen was; null while it is up
let telling = false;

function clear() {
  paper.fillStyle = "white";
  paper.fillRect(0, 0, canvas.width, canvas.height);
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function draw(event) {
  Object.assign(paper, { lineWidth: PEN, lineCap: "round", strokeStyle: "black" });
  paper.beginPath();
  paper.moveTo(...last);
  last = place(event);
  paper.lineTo(last[0] + 0.01, last[1]); // a line of no length would draw no dot
  paper.stroke();
  if (!telling) setTimeout(tell, WAIT);
  telling = true;
}

function tell() {
  telling = false;
  props.value = canvas.toDataURL();
  trigger("input");
}

function show() { // what the program has put on the pad
  clear();
  const image = new Image();
  image.onload = () => {
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const [width, height] = [image.width * scale, image.height * scale];
    const corner = [(canvas.width - width) / 2, (canvas.height - height) / 2];
    paper.imageSmoothingEnabled = image.width > 100;
    paper.drawImage(image, ...corner, width, height);
  };
  if (props.value) image.src = props.value;
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = place(event);
  draw(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (last) event.getCoalescedEvents().forEach(draw);
});
canvas.addEventListener("lostpointercapture", () => (last = null));
watch("value", show);
clear();
