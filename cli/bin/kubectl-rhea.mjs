#!/usr/bin/env node
import { launch } from "../../scripts/launch.mjs";

await launch("cli/dist/bin/kubectl-rhea.js");
