// What `npm run test:kube` can be asked for.
import { parseArgs } from "node:util";

const USAGE = `usage: npm run test:kube -- [options]
  --only TEXT      only the spec files whose name contains TEXT (repeatable)
  --grep TEXT      only the tests whose title contains TEXT
  --lanes N        spec files at once, but those named *.alone.kube.ts (default 2)
  --nodes N        nodes of the cluster (default 3)
  --cluster NAME   use the cluster NAME, which is made if it is not up, and keep it: a second run starts in seconds
  --no-build       take the build as it is
  --keep           leave the cluster of this run up, and what a failed story made
With KUBECONFIG set, that cluster is used, with the image RHEA_IMAGE, which its nodes must have or can pull.
`;

/**
 * @typedef {{ only: string[], grep: string | undefined, lanes: number, nodes: number, cluster: string | undefined, keep: boolean, build: boolean }} Options
 */

/**
 * Reads the command line; ends the process with 2 where it is wrong.
 *
 * @returns {Options}
 */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true, default: [] },
        grep: { type: "string" },
        lanes: { type: "string", default: "2" },
        nodes: { type: "string", default: "3" },
        cluster: { type: "string" },
        keep: { type: "boolean", default: false },
        "no-build": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      console.log(USAGE.trimEnd());
      process.exit(0);
    }
    const whole = (/** @type {"lanes" | "nodes"} */ name) => {
      const value = Number(values[name]);
      if (Number.isInteger(value) && value >= 1 && value <= 15) return value;
      throw new Error(`--${name} ${values[name]}: a whole number in 1..15 is needed`);
    };
    const { only, grep, cluster, keep } = values;
    if (cluster !== undefined && !/^[a-z0-9]{1,20}$/.test(cluster)) {
      throw new Error(`--cluster ${cluster}: 1 to 20 lower-case letters and digits are needed`);
    }
    const isKept = keep || cluster !== undefined;
    const build = !values["no-build"];
    return { only, grep, lanes: whole("lanes"), nodes: whole("nodes"), cluster, keep: isKept, build };
  } catch (error) {
    process.stderr.write(`test:kube: ${/** @type {Error} */ (error).message}\n${USAGE}`);
    process.exit(2);
  }
}
