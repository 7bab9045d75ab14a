/** The product's worker, watched. */
import "./watch-rejections.ts";

export * from "../../index.ts";
export { default } from "../../index.ts";
