import type { ClusterNumbers } from './types.ts'

/**
 * The numbers of a cluster that has seen nothing yet: every field is there from the start, so that the object keeps one
 * shape.
 */
export function emptyNumbers(): ClusterNumbers {
  return {
    activeRequests: 0,
    unansweredRequests: 0,
    activeAttempts: 0,
    pendingRequests: 0,
    connections: 0,
    activeRetries: 0,
    endpoints: 0,
    usableEndpoints: 0,
    ejectedEndpoints: 0,
    panic: 0,
    breakerState: 0,
    requestOverflows: 0,
    pendingOverflows: 0,
    connectionOverflows: 0,
    retryOverflows: 0,
    breakerOpenings: 0,
    breakerRefusals: 0,
    concurrencyRefusals: 0,
    concurrencyLimit: 0,
    admissionRefusals: 0,
    callerOverflows: 0,
    ejections: 0,
    picksWithoutEndpoint: 0,
  }
}
