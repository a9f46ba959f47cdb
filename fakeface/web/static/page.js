// A photo goes to the server as it is; the answer is drawn on a canvas, so that no picture has an address.
"use strict";

const $ = id => document.getElementById(id);
const words = $("drop").dataset;
const COLOURS = { fake: [213, 94, 0], real: [0, 114, 178] };
const STRONGEST = 0.65;  // opacity of the place with the most evidence, as in reporting/evidence.py
const LEAST_SIDE = 1000;  // of the canvas, so that frames and numbers are sharp on a small photo
let shown = null;   // { picture, faces } of the photo on the page
let chosen = 0;     // index of the face whose box is thicker
let latest = 0;     // an answer that was overtaken by another photo is dropped

async function judge(photo, whole = false) {
  const mine = ++latest;
  for (const id of ["error", "no-face", "result"]) $(id).hidden = true;
  if (photo.size > Number(words.maxBytes)) return fail(words.failed.replace("{reason}", `> ${words.maxBytes / 1e6} MB`));
  say(words.working);
  let answer;
  try {
    const query = new URLSearchParams({ lang: document.documentElement.lang, ...(whole && { whole: "1" }) });
    const response = await fetch(`judge?${query}`, { method: "POST", body: photo, headers: { "Content-Type": "application/octet-stream" } });
    answer = await response.json();
  } catch {
    answer = { error: words.failed.replace("{reason}", words.unreachable) };
  }
  if (mine !== latest) return;
  if (answer.error) return fail(answer.error);
  const bytes = Uint8Array.from(atob(answer.preview), letter => letter.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  if (mine !== latest) return;
  shown = { picture, faces: answer.faces };
  chosen = 0;
  $("photo").setAttribute("aria-label", answer.alt);
  $("no-face").hidden = answer.faces.length > 0;
  $("whole").onclick = () => judge(photo, true);
  $("faces").replaceChildren(...answer.faces.map(card));
  offerMaps(answer.faces);
  $("result").hidden = false;
  draw();
  say(words.done, "heard");
  $("result").scrollIntoView({ block: "start" });
  (answer.faces.length ? $("result") : $("whole")).focus({ preventScroll: true });
}

function say(text, className = "") {
  $("status").textContent = text;
  $("status").className = className;
}

function fail(message) {
  say("");
  $("error").textContent = message;
  $("error").hidden = false;
}

function card(face, at) {
  const element = $("face").content.firstElementChild.cloneNode(true);
  const put = (name, text) => { element.querySelector(name).textContent = text; };
  element.dataset.answer = face.answer;
  element.classList.toggle("chosen", at === chosen);
  put(".title", face.title);
  put(".answer", face.word);
  put(".sentence", face.sentence);
  put(".meaning", face.meaning);
  element.querySelector(".reservations").replaceChildren(...face.reservations.map(text => Object.assign(document.createElement("li"), { textContent: text })));
  element.querySelector(".models").replaceChildren(...Object.values(face.models).map(bar));
  const choose = () => {
    chosen = at;
    document.querySelectorAll(".face").forEach((other, number) => other.classList.toggle("chosen", number === at));
    draw();
  };
  element.addEventListener("focusin", choose);
  element.addEventListener("click", choose);
  return element;
}

function bar(model) {
  const element = $("model").content.firstElementChild.cloneNode(true);
  element.querySelector(".label").textContent = `${model.label}: ${model.word}`;
  element.querySelector(".percent").textContent = model.percent;
  const meter = element.querySelector(".bar");
  meter.setAttribute("aria-valuenow", Math.round(100 * model.shown));
  meter.setAttribute("aria-valuetext", model.spoken);
  meter.setAttribute("aria-label", model.label);
  element.querySelector(".zone.real").style.width = `${100 * model.real_below}%`;
  element.querySelector(".zone.fake").style.width = `${100 * (1 - model.fake_from)}%`;
  element.querySelector(".dot").style.left = `${100 * model.shown}%`;
  return element;
}

function offerMaps(faces) {
  const labels = [...document.querySelectorAll("[data-map]")];
  for (const label of labels) label.hidden = !faces.some(face => face.models[label.dataset.map].evidence);
  $("maps").hidden = labels.every(label => label.hidden);
  if (document.querySelector("[name=map]:checked").closest("label").hidden || !faces.length) document.querySelector("[name=map]").checked = true;
}

function draw() {
  const { picture, faces } = shown;
  const canvas = $("photo"), pen = canvas.getContext("2d");
  const scale = Math.max(1, LEAST_SIDE / Math.max(picture.width, picture.height));
  canvas.width = Math.round(scale * picture.width);
  canvas.height = Math.round(scale * picture.height);
  pen.scale(scale, scale);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0);
  const model = document.querySelector("[name=map]:checked").value;
  $("legend").hidden = !model || !faces.length;
  if (model && faces.length) {
    $("map-label").textContent = faces[chosen].models[model].map.label;
    $("map-note").textContent = faces[chosen].models[model].map.note;
    for (const face of faces) cover(pen, face.models[model]);
  }
  const unit = Math.max(picture.width, picture.height) / 400;
  faces.forEach((face, at) => face.box && frame(pen, face, unit, at === chosen && faces.length > 1));
}

function cover(pen, { evidence, corners: [start, right, , down] }) {
  if (!evidence) return;
  const n = evidence.length, strongest = Math.max(...evidence.flat().map(Math.abs), 1e-9);
  const map = new OffscreenCanvas(n, n), colours = new ImageData(n, n);
  evidence.flat().forEach((value, at) => {
    colours.data.set([...COLOURS[value > 0 ? "fake" : "real"], 255 * STRONGEST * Math.abs(value) / strongest], 4 * at);
  });
  map.getContext("2d").putImageData(colours, 0, 0);
  pen.save();
  pen.transform((right[0] - start[0]) / n, (right[1] - start[1]) / n, (down[0] - start[0]) / n, (down[1] - start[1]) / n, ...start);
  pen.drawImage(map, 0, 0);
  pen.restore();
}

function frame(pen, { box: [left, top, right, bottom], number }, unit, thick) {
  for (const [width, colour] of [[thick ? 5 : 3, "rgb(0 0 0 / .55)"], [thick ? 3 : 1.4, "#fff"]]) {
    pen.lineWidth = width * unit;
    pen.strokeStyle = colour;
    pen.strokeRect(left, top, right - left, bottom - top);
  }
  if (shown.faces.length < 2) return;
  const size = 15 * unit;
  pen.fillStyle = "rgb(0 0 0 / .7)";
  pen.fillRect(left, top, 1.4 * size, 1.4 * size);
  pen.fillStyle = "#fff";
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(number, left + 0.7 * size, top + 0.75 * size);
}

async function takePhoto() {
  const stream = await navigator.mediaDevices?.getUserMedia({ video: { facingMode: "user", width: { ideal: 1920 } } }).catch(() => null);
  if (!stream) { $("file").setAttribute("capture", "user"); return $("file").click(); }
  const video = $("viewfinder").querySelector("video");
  $("take").disabled = true;  // until there is a picture
  video.onloadeddata = () => { $("take").disabled = false; $("take").focus(); };
  video.srcObject = stream;
  video.play();
  $("viewfinder").showModal();
  $("viewfinder").onclose = () => stream.getTracks().forEach(track => track.stop());
  $("cancel").onclick = () => $("viewfinder").close();
  $("take").onclick = () => {
    const still = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    still.getContext("2d").drawImage(video, 0, 0);
    $("viewfinder").close();
    still.convertToBlob({ type: "image/jpeg", quality: 0.95 }).then(photo => judge(photo));
  };
}

$("choose").addEventListener("click", () => { $("file").removeAttribute("capture"); $("file").click(); });
$("camera").addEventListener("click", takePhoto);
$("file").addEventListener("change", () => { if ($("file").files[0]) judge($("file").files[0]); $("file").value = ""; });
document.querySelectorAll("[name=map]").forEach(choice => choice.addEventListener("change", draw));
document.querySelectorAll(".example").forEach(button => button.addEventListener("click", async () => judge(await (await fetch(button.dataset.source)).blob())));
document.addEventListener("paste", event => { const photo = [...event.clipboardData.files][0]; if (photo) judge(photo); });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, event => { event.preventDefault(); $("drop").classList.toggle("over", name === "dragover"); });
}
document.addEventListener("drop", event => { const photo = event.dataTransfer.files[0]; if (photo) judge(photo); });
