/** Errors between hosts: code and message, nothing else is needed there. */
import { isErrorCode, RheaError } from "@rhea/common";
import type { Error as WireError, ErrorInit } from "@rhea/proto";

/** Turns an error into its wire form. */
export function toWireError(error: RheaError): ErrorInit {
  return { code: error.code, message: error.message };
}

/** Turns a wire error back; an unknown code becomes INTERNAL with the code in the message. */
export function fromWireError({ code, message }: WireError): RheaError {
  return isErrorCode(code) ? new RheaError(code, message) : new RheaError("INTERNAL", `${code}: ${message}`);
}
