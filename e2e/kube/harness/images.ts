/** The images that the runner has loaded. */

function variable(name: string): string {
  const value = process.env[name];
  if (value !== undefined && value !== "") return value;
  throw new Error(`${name} is not set: run specs with \`npm run test:kube\``);
}

/** The image under test, with its tag. */
export function image(): string {
  return variable("RHEA_IMAGE");
}

/** The image of the commit before; skips the test, or the story in its `before`, where there is none (a shallow clone). */
export function previousImage(context: Mocha.Context): string {
  if (process.env["RHEA_PREVIOUS_IMAGE"] === undefined) context.skip();
  return variable("RHEA_PREVIOUS_IMAGE");
}

/** An image that nobody has, so that it can never be pulled. */
export function brokenImage(): string {
  return "rhea.invalid/nowhere/rhea:0.0.0";
}
