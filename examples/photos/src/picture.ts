/**
 * Syncline moves records, not the bytes of files. So that a sample library is pleasant to look at, each
 * photo is drawn from its id: always the same landscape for the same file.
 *
 * @module
 */
interface Palette {
  readonly sky: readonly [string, string, string];
  readonly light: string;
  readonly ridges: readonly [string, string, string, string];
  readonly isNight?: boolean;
}

const palettes: readonly Palette[] = [
  {
    sky: ["#f7b267", "#f79d65", "#f4845f"],
    light: "#fff3d6",
    ridges: ["#c8553d", "#8f3b3b", "#5b2a37", "#2f1b2b"],
  },
  {
    sky: ["#1b2a49", "#2c4a6e", "#4b86a8"],
    light: "#f4f1de",
    ridges: ["#36597c", "#26425f", "#182c44", "#0d1a2b"],
    isNight: true,
  },
  {
    sky: ["#cdeaf3", "#a9d6e5", "#89c2d9"],
    light: "#ffffff",
    ridges: ["#8fb8c9", "#61a5c2", "#2c7da0", "#014f86"],
  },
  {
    sky: ["#fde2e4", "#fad2e1", "#e2cfea"],
    light: "#fff7f0",
    ridges: ["#c9a6c4", "#9f86c0", "#5e548e", "#231942"],
  },
  {
    sky: ["#e9f5db", "#cfe1b9", "#b5c99a"],
    light: "#fffbe6",
    ridges: ["#97a97c", "#718355", "#4a5a34", "#2b3a1e"],
  },
  {
    sky: ["#03121f", "#0b3142", "#0f5c5c"],
    light: "#b8ffd9",
    ridges: ["#10514f", "#0b3b3f", "#07282e", "#03151a"],
    isNight: true,
  },
  {
    sky: ["#ffe8c7", "#ffd29a", "#fbb36b"],
    light: "#fffaf0",
    ridges: ["#e39b5a", "#bf7442", "#854a2c", "#4a281b"],
  },
  {
    sky: ["#dfe7ef", "#c3d0de", "#a7b7ca"],
    light: "#ffffff",
    ridges: ["#93a3b8", "#6d7f97", "#475a73", "#27364a"],
  },
  {
    sky: ["#ffd6a5", "#ffadad", "#c77dff"],
    light: "#fff1c9",
    ridges: ["#9d4edd", "#7b2cbf", "#4a1a86", "#240046"],
  },
  {
    sky: ["#e3f2ec", "#bfe0d4", "#93c7b5"],
    light: "#fffef5",
    ridges: ["#7fb3a2", "#558b7b", "#2f6456", "#143a31"],
  },
];

function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}

/** Mulberry32: small, quick, and the same everywhere. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function ridge(random: () => number, base: number, height: number): Path2D {
  const [a, b, c] = [random() * 6, random() * 6, random() * 6];
  const sharpness = 0.4 + random() * 0.9;
  const path = new Path2D();
  path.moveTo(0, 200);
  for (let x = 0; x <= 300; x += 10) {
    const wave =
      Math.sin(x / 64 + a) * 0.55 +
      Math.sin(x / 27 + b) * 0.3 * sharpness +
      Math.sin(x / 11 + c) * 0.12 * sharpness;
    path.lineTo(x, base - wave * height);
  }
  path.lineTo(300, 200);
  path.closePath();
  return path;
}

type Brush = CanvasRenderingContext2D;

function drawStars(brush: Brush, random: () => number): void {
  brush.fillStyle = "#fff";
  for (let star = 0; star < 42; star += 1) {
    const [x, y, r] = [random() * 300, random() * 110, 0.3 + random() * 0.8];
    brush.globalAlpha = 0.4 + random() * 0.6;
    drawDisc(brush, [x, y, r]);
  }
  brush.globalAlpha = 1;
}

function drawDisc(brush: Brush, [x, y, r]: readonly [number, number, number]): void {
  brush.beginPath();
  brush.arc(x, y, r, 0, 7);
  brush.fill();
}

function drawTrees(brush: Brush, random: () => number): void {
  brush.beginPath();
  for (let tree = 0; tree < 14; tree += 1) {
    const [x, size, y] = [random() * 300, 8 + random() * 20, 186 + random() * 14];
    brush.moveTo(x - size / 4, y);
    brush.lineTo(x, y - size);
    brush.lineTo(x + size / 4, y);
  }
  brush.fill();
}

function drawWater(brush: Brush, random: () => number, palette: Palette): void {
  const water = brush.createLinearGradient(0, 166, 0, 200);
  water.addColorStop(0, palette.sky[2]);
  water.addColorStop(1, palette.ridges[2]);
  brush.fillStyle = water;
  brush.fillRect(0, 166, 300, 34);
  brush.beginPath();
  for (let ripple = 0; ripple < 9; ripple += 1) {
    const [x, y, width] = [random() * 280, 172 + random() * 26, 10 + random() * 50];
    brush.moveTo(x, y);
    brush.lineTo(x + width, y);
  }
  brush.globalAlpha = 0.35;
  brush.strokeStyle = palette.light;
  brush.stroke();
  brush.globalAlpha = 1;
}

function drawSky(brush: Brush, { sky }: Palette): void {
  const gradient = brush.createLinearGradient(0, 0, 0, 200);
  gradient.addColorStop(0, sky[0]);
  gradient.addColorStop(0.55, sky[1]);
  gradient.addColorStop(1, sky[2]);
  brush.fillStyle = gradient;
  brush.fillRect(0, 0, 300, 200);
}

function drawSun(brush: Brush, light: string, [x, y, r]: readonly [number, number, number]): void {
  const glow = brush.createRadialGradient(x, y, 0, x, y, r * 4);
  glow.addColorStop(0, `${light}bf`);
  glow.addColorStop(1, `${light}00`);
  brush.fillStyle = glow;
  drawDisc(brush, [x, y, r * 4]);
  brush.fillStyle = light;
  drawDisc(brush, [x, y, r]);
}

/** Draws the picture of a file over the whole of a canvas. */
export function draw(canvas: HTMLCanvasElement, id: string, group: string): void {
  const brush = canvas.getContext("2d");
  const random = createRandom(hash(id));
  // Photos of one folder look as if they were taken in one place.
  const near = hash(group) % palettes.length;
  const palette = palettes[(near + Math.floor(random() ** 2 * 4)) % palettes.length];
  if (palette === undefined || brush === null) return;
  brush.setTransform(canvas.width / 300, 0, 0, canvas.height / 200, 0, 0);
  const sun = [30 + random() * 240, 30 + random() * 70, 9 + random() * 16] as const;
  const horizon = 105 + random() * 30;
  const hasWater = random() > 0.6;
  drawSky(brush, palette);
  if (palette.isNight === true) drawStars(brush, random);
  drawSun(brush, palette.light, sun);
  for (const [index, color] of palette.ridges.slice(0, hasWater ? 3 : 4).entries()) {
    brush.fillStyle = color;
    brush.fill(ridge(random, horizon + index * 21, 30 - index * 5));
  }
  if (hasWater) drawWater(brush, random, palette);
  else drawTrees(brush, random);
}
