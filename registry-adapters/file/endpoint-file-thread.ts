/** Reads one long endpoint file in a thread of its own; `endpoint-file-reader.ts` is the other side. */
import { parentPort, workerData } from 'node:worker_threads'
import { readEndpointFile } from './endpoint-file.ts'
import type { FileToRead } from './endpoint-file-reader.ts'

const { name, source, allowLoopback } = workerData as FileToRead
parentPort?.postMessage(readEndpointFile(name, source, allowLoopback))
parentPort?.postMessage(null)
