import { defineConfig } from "vite";

// Vite shows every file of the folder but these: what it denies by itself, and the data with its secret.
const deny = [".env", ".env.*", "*.{crt,pem}", "**/.git/**", "**/data/**"];

export default defineConfig({ server: { fs: { deny } } });
