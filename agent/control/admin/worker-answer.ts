/** Longest wait for the answer of a worker; one that is stopped must not hold the page. */
export const workerAnswerMs = 2000
