#!/usr/bin/env node
import { launch } from "../../scripts/launch.mjs";

await launch("operator/dist/bin/rhea-local.js", { threads: 16 });
