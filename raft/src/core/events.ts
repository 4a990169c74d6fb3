export type RaftEvent = { readonly kind: "placeholder" };
