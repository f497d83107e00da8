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

function drawRidge(random: () => number, base: number, height: number): string {
  const [a, b, c] = [random() * 6, random() * 6, random() * 6];
  const sharpness = 0.4 + random() * 0.9;
  const points: string[] = [];
  for (let x = 0; x <= 300; x += 10) {
    const wave =
      Math.sin(x / 64 + a) * 0.55 +
      Math.sin(x / 27 + b) * 0.3 * sharpness +
      Math.sin(x / 11 + c) * 0.12 * sharpness;
    points.push(`${x} ${(base - wave * height).toFixed(1)}`);
  }
  return `M0 200L${points.join("L")}L300 200Z`;
}

function drawStars(random: () => number): string {
  const stars = Array.from({ length: 42 }, () => {
    const [x, y, r] = [random() * 300, random() * 110, 0.3 + random() * 0.8];
    return `<circle cx="${x.toFixed(0)}" cy="${y.toFixed(0)}" r="${r.toFixed(1)}" opacity="${(0.4 + random() * 0.6).toFixed(1)}"/>`;
  });
  return `<g fill="#fff">${stars.join("")}</g>`;
}

function drawTrees(random: () => number, color: string): string {
  const trees = Array.from({ length: 14 }, () => {
    const [x, size, y] = [random() * 300, 8 + random() * 20, 186 + random() * 14];
    return `M${(x - size / 4).toFixed(0)} ${y.toFixed(0)}l${(size / 4).toFixed(1)} -${size.toFixed(1)}l${(size / 4).toFixed(1)} ${size.toFixed(1)}z`;
  });
  return `<path d="${trees.join("")}" fill="${color}"/>`;
}

function draw(id: string, group: string): string {
  const random = createRandom(hash(id));
  // Photos of one folder look as if they were taken in one place.
  const near = hash(group) % palettes.length;
  const palette = palettes[(near + Math.floor(random() ** 2 * 4)) % palettes.length];
  if (palette === undefined) return "";
  const { sky, light, ridges, isNight } = palette;
  const [sunX, sunY, sunR] = [30 + random() * 240, 30 + random() * 70, 9 + random() * 16];
  const horizon = 105 + random() * 30;
  const hasWater = random() > 0.6;
  const layers = ridges
    .slice(0, hasWater ? 3 : 4)
    .map((color, index) => {
      const path = drawRidge(random, horizon + index * 21, 30 - index * 5);
      return `<path d="${path}" fill="${color}"/>`;
    })
    .join("");
  const ripples = Array.from({ length: 9 }, () => {
    const [x, y, w] = [random() * 280, 172 + random() * 26, 10 + random() * 50];
    return `M${x.toFixed(0)} ${y.toFixed(0)}h${w.toFixed(0)}`;
  }).join("");
  const water = `<rect y="166" width="300" height="34" fill="url(#w)"/><path d="${ripples}" stroke="${light}" stroke-opacity=".35"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 200" preserveAspectRatio="xMidYMid slice"><defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="${sky[0]}"/><stop offset=".55" stop-color="${sky[1]}"/><stop offset="1" stop-color="${sky[2]}"/></linearGradient><radialGradient id="g"><stop stop-color="${light}" stop-opacity=".75"/><stop offset="1" stop-color="${light}" stop-opacity="0"/></radialGradient><linearGradient id="w" x2="0" y2="1"><stop stop-color="${sky[2]}"/><stop offset="1" stop-color="${ridges[2]}"/></linearGradient></defs><rect width="300" height="200" fill="url(#s)"/>${isNight === true ? drawStars(random) : ""}<circle cx="${sunX.toFixed(0)}" cy="${sunY.toFixed(0)}" r="${(sunR * 4).toFixed(0)}" fill="url(#g)"/><circle cx="${sunX.toFixed(0)}" cy="${sunY.toFixed(0)}" r="${sunR.toFixed(0)}" fill="${light}"/>${layers}${hasWater ? water : drawTrees(random, ridges[3])}</svg>`;
}

const drawn = new Map<string, string>();
const drawnMax = 2_000;

/** The address of the picture of a file. */
export function pictureUrl(id: string, group: string | null): string {
  const known = drawn.get(id);
  if (known !== undefined) return known;
  if (drawn.size >= drawnMax) drawn.clear();
  const url = `data:image/svg+xml,${encodeURIComponent(draw(id, group ?? ""))}`;
  drawn.set(id, url);
  return url;
}
