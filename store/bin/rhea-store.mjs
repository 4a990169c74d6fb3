#!/usr/bin/env node
import { launch } from "../../scripts/launch.mjs";

await launch("store/dist/bin/rhea-store.js", { threads: 16 });
