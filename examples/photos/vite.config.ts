import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  // The service worker that applications begin with.
  publicDir: "../notes/public",
  plugins: [react()],
  build: { outDir: "../../.cache/photos", emptyOutDir: true, target: "esnext" },
  // `npx vite examples/photos` with a service beside it: hot reload while working on the pages.
  server: { proxy: { "/v1": process.env["SYNCLINE_URL"] ?? "http://127.0.0.1:8787" } },
});
