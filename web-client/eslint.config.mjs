import js from "@eslint/js";
import globals from "./scripts/globals.mjs";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/"] },
  js.configs.recommended,
  {
    files: ["src/**/*.ts", "tests/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { project: ["./tsconfig.json", "./tsconfig.worklet.json"], tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // Index signatures are read with brackets on purpose (noPropertyAccessFromIndexSignature).
      "@typescript-eslint/dot-notation": "off",
      "max-lines": ["error", 500],
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
      "no-restricted-properties": ["error", { property: "innerHTML", message: "Words of others are text, never markup." }],
    },
  },
  {
    // The runner awaits what describe and it return.
    files: ["tests/**/*.ts"],
    rules: { "@typescript-eslint/no-floating-promises": "off", "max-lines-per-function": "off" },
  },
  {
    files: ["tests/browser/answerer.js"],
    languageOptions: { globals: { window: "readonly", performance: "readonly", RTCPeerConnection: "readonly" } },
  },
  { files: ["scripts/**/*.mjs", "tests/browser/*.mjs", "eslint.config.mjs"], languageOptions: { globals } },
);
