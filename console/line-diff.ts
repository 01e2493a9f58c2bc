/** Two texts line by line: what stays, what goes, what comes. Texts of more than 2,000 lines are told as a whole. */

export interface DiffLine {
  readonly mark: ' ' | '-' | '+'
  readonly text: string
}

const mostLines = 2000

export function lineDiff(before: string, after: string): DiffLine[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  if (a.length > mostLines || b.length > mostLines)
    return [...a.map((text): DiffLine => ({ mark: '-', text })), ...b.map((text): DiffLine => ({ mark: '+', text }))]
  const width = b.length + 1
  // longest common subsequence of what follows line i of a and line j of b
  const common = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ mark: ' ', text: a[i]! })
      i++
      j++
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!))
      lines.push({ mark: '-', text: a[i++]! })
    else lines.push({ mark: '+', text: b[j++]! })
  }
  return lines
}
