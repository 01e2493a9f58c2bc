/**
 * Namespace of the snapshot's keys for local applications behind their inbound ports; no registry can have it, because
 * nobody can ask for it.
 */
export const inboundNamespace = '$inbound'
