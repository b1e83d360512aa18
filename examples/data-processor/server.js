// A small web service: GET / says who answers, POST /stats the statistics of a list of numbers.
const os = require('os');
const express = require('express');

const app = express();
app.use(express.json({limit: '1mb'}));

app.get('/', (request, response) => {
  response.json({service: 'data-processor', host: os.hostname(), pid: process.pid});
});

app.post('/stats', (request, response) => {
  const numbers = request.body;
  if (!Array.isArray(numbers) || numbers.length === 0 || !numbers.every(Number.isFinite)) {
    response.status(400).json({error: 'a list of numbers is wanted'});
    return;
  }
  const sum = numbers.reduce((a, b) => a + b, 0);
  response.json({
    count: numbers.length, mean: sum / numbers.length,
    min: Math.min(...numbers), max: Math.max(...numbers)
  });
});

const server = app.listen(process.env.PORT || 8080, () => {
  console.log(`listening on ${server.address().port}`);
});
process.on('SIGTERM', () => server.close(() => process.exit(0)));
