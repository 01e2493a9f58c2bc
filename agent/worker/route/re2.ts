/** RE2's algorithm. A module of its own, since it is a sixth of the code of a worker, and few rules have a pattern. */
export { RE2JS } from 're2js'
