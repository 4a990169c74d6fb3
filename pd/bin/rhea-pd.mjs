#!/usr/bin/env node
import { launch } from "../../scripts/launch.mjs";

await launch("pd/dist/bin/rhea-pd.js", { threads: 16 });
